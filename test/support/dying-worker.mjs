// A worker that dies in the middle of jobs whose key says so, and runs all others.
import { runJob as realRunJob } from '../../dist/replay/worker.js';

export function runJob(job) {
  if (job.key.includes('dies')) process.exit(3);
  return realRunJob(job);
}
