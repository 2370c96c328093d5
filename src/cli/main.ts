#!/usr/bin/env node
/**
 * Entry of the command line. Checks the runtime before anything else is loaded, so that an old Node gets one clear line
 * instead of a syntax error from a dependency.
 */
const MINIMUM_NODE = [22, 18] as const;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor < MINIMUM_NODE[1])) {
  process.stderr.write(
    `iommu-replay needs Node ${MINIMUM_NODE.join('.')} or newer; this is ${process.versions.node}. ` +
      'Run it through npm (npm start), which uses the Node installed by npm ci.\n',
  );
  process.exitCode = 2;
} else {
  // A reader that has had enough (`| head`) is no failure: what is left goes nowhere, and the exit code is the command's.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  const { runProgram } = await import('./program.ts');
  process.exitCode = await runProgram(process.argv.slice(2));
}
