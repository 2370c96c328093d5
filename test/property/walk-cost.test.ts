/**
 * What a walk costs is a matter of what is left to read: never less with more levels left, and never less for a 4 KiB page
 * than for a larger one in the same place with the same things cached. Any profile, either stage or both, any history.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HARDWARE_PROFILE_NAMES, hardwareProfile } from '../../src/hw/profiles/registry.ts';
import { type ArrivedOutcome, DeviceUnderTest } from '../support/device-under-test.ts';
import { NestedScene } from '../support/nested-scene.ts';
import { seeded, seededTitle } from '../support/property-seed.ts';

const PROFILES = HARDWARE_PROFILE_NAMES.filter((name) => hardwareProfile(name).kind === 'vtd');
/** [4 KiB pages] The page in question, aligned to 1 GiB, in a 1 GiB region of its own. */
const PAGE = 5 * 2 ** 27 + 3 * 2 ** 18;
/** Pages that warm up the tables above it, none of them: sharing 512 GiB, 256 TiB, or nothing but the root. */
const HISTORY: readonly number[] = [5 * 2 ** 27 + 2 ** 18, 6 * 2 ** 27 + 7, 2 ** 36 + 9];
const DID = 7;
const T0 = 200_000_000;
const RUNS = 400;

interface Case {
  readonly profile: string;
  readonly stage: 'second' | 'first';
  readonly levels: number;
  readonly history: readonly number[];
  readonly write: boolean;
}

const cases: fc.Arbitrary<Case> = fc.record({
  profile: fc.constantFrom(...PROFILES),
  stage: fc.constantFrom('second', 'first' as const),
  levels: fc.integer({ min: 4, max: 5 }),
  history: fc.subarray([...HISTORY]),
  write: fc.boolean(),
});

/** Translates {@link PAGE}, mapped as `512^size` pages, after the history; within it after its own 2 MiB neighbours if asked. */
function walk({ profile, stage, levels, history, write }: Case, size: number): ArrivedOutcome {
  const { config } = hardwareProfile(profile);
  // Times and caches of the profile; table shapes that not every unit has.
  const dut = new DeviceUnderTest({ scalable: stage === 'first', config: ({ cap }) => ({ ...config, cap }) });
  const table = dut.table(levels, stage);
  const source = dut.sourceIds[0] as number;
  const reachable = history.filter((page) => page < 512 ** levels / 2);
  for (const page of reachable) table.map(page, 0x100);
  table.map(PAGE, 2 ** 18, 3, size);
  if (stage === 'first') dut.contexts.setPasid(source, 0, table, DID);
  else dut.contexts.setLegacy(source, table, DID);
  for (const [index, page] of reachable.entries()) dut.issue({ page, at: index * 20_000 });
  return dut.issueToArrive(T0, { page: PAGE, write });
}

test(seededTitle('a 4 KiB walk never costs less than a 2 MiB one, nor that less than a 1 GiB one', RUNS), () => {
  fc.assert(
    fc.property(cases, (given) => {
      const [small, large, huge] = [0, 1, 2].map((size) => walk(given, size)) as [
        ArrivedOutcome,
        ArrivedOutcome,
        ArrivedOutcome,
      ];
      expect([small, large, huge].map(({ pageShift }) => pageShift)).toEqual([12, 21, 30]);
      expect([small.reads - large.reads, large.reads - huge.reads]).toEqual([1, 1]);
      expect(small.readyTick).toBeGreaterThan(large.readyTick);
      expect(large.readyTick).toBeGreaterThan(huge.readyTick);
    }),
    seeded(RUNS),
  );
});

test(seededTitle('a walk that has more levels left never costs less', RUNS), () => {
  fc.assert(
    fc.property(cases, fc.subarray([...HISTORY]), (given, more) => {
      // The more has been walked before, the less is left.
      const history = [...new Set([...given.history, ...more])];
      const [fewer, known] = [walk(given, 0), walk({ ...given, history }, 0)];
      expect(known.reads).toBeLessThanOrEqual(fewer.reads);
      expect(known.readyTick - fewer.readyTick).toBeLessThanOrEqual(0);
      const { translation } = hardwareProfile(given.profile).config;
      expect(fewer.readyTick - known.readyTick).toBe((fewer.reads - known.reads) * translation.walkReadTicks);
    }),
    seeded(RUNS),
  );
});

test(seededTitle('the same through both stages: smaller pages of either never cost less', 120), () => {
  const levels = fc.integer({ min: 4, max: 5 });
  fc.assert(
    fc.property(levels, levels, fc.boolean(), (firstLevels, secondLevels, write) => {
      const cost = (firstSize: number, secondSize: number): ArrivedOutcome => {
        const scene = new NestedScene({ firstLevels, secondLevels });
        scene.mapGuest(PAGE, 2 ** 18, 3, firstSize);
        scene.host.map(2 ** 18, 2 ** 19, 3, secondSize);
        return scene.dut.issueToArrive(T0, { page: PAGE, write });
      };
      const grid = [0, 1, 2].map((first) => [0, 1, 2].map((second) => cost(first, second)));
      for (const [first, row] of grid.entries()) {
        for (const [second, one] of row.entries()) {
          expect(one.outcome).toBe('miss');
          expect(one.pageShift).toBe(12 + 9 * Math.min(first, second));
          const smaller = [grid[first - 1]?.[second], row[second - 1]];
          for (const each of smaller) if (each !== undefined) expect(each.readyTick).toBeGreaterThan(one.readyTick);
        }
      }
    }),
    seeded(120),
  );
});
