import { defineConfig } from 'vitest/config';

/** One vitest project a kind of oracle; `pool` and `browser` run against the built `dist`. */
const project = (name: string, extra: object = {}) => ({
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout: 120_000, hookTimeout: 120_000, ...extra },
});

export default defineConfig({
  test: {
    projects: [
      project('unit'),
      project('conformance'),
      project('property'),
      project('golden'),
      project('pool'),
      project('browser'),
    ],
  },
});
