/**
 * `switches`: devices (or PASIDs of devices) under load while their address spaces are exchanged. Each has two that map
 * the same IOVAs to different memory, so that every request shows which of them served it. Requests wait for nothing but
 * the first mapping: a switch may come at any moment.
 */
import { PAGE_SIZE } from '../../address.ts';
import { pagePicker } from './page-picker.ts';
import type { RecipeOf } from './recipe.ts';
import { checkRegion, request } from './static-region.ts';
import { cdevTargets, containerTarget, type Due, mediatedTarget, type SwitchTarget } from './switch-target.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

/** CPUs of drivers of mediated devices are apart from those of the callers. */
const FIRST_DRIVER_CPU = 10_000;
/** One of so many accesses is a pin, the one after it the unpin. */
const PIN_EVERY = 8;
/** IOMMU_READ | IOMMU_WRITE (include/linux/iommu.h). */
const READ_WRITE = 3;

/** The driver of a mediated device at work. */
interface Software {
  readonly target: SwitchTarget;
  /** [ns] */
  nextNs: number;
  count: number;
}

/** Writes a `switches` trace. */
export function switches(recipe: RecipeOf<'switches'>, trace: SyntheticTrace): void {
  checkRegion(recipe);
  const physical: SwitchTarget[] = [];
  for (let device = 0; device < recipe.devices; device++) {
    if (recipe.call === 'container-move') physical.push(containerTarget(recipe, trace));
    else physical.push(...cdevTargets(recipe, trace));
  }
  const mediated = Array.from({ length: recipe.mediated }, () => mediatedTarget(recipe, trace));
  const targets = [...physical, ...mediated];
  trace.advanceTo(recipe.startNs);
  const software = mediated.map((target, i): Software => ({ target, nextNs: trace.timeNs + 100 * i, count: 0 }));
  const picker = pagePicker(recipe.locality, recipe.regionBytes / PAGE_SIZE);
  const stride = trace.rowsLeft / recipe.switches;
  const due: Due[] = [];
  let done = 0;
  for (let row = 0; trace.rowsLeft > 0; row++) {
    while (due.length > 0 && trace.timeNs >= due[0]!.timeNs) due.shift()!.write();
    for (const driver of software) if (trace.timeNs >= driver.nextNs) access(recipe, trace, driver);
    if (done < recipe.switches && row >= (done + 0.5) * stride) {
      const refused = recipe.failEvery > 0 && done % recipe.failEvery === recipe.failEvery - 1;
      targets[done % targets.length]!.exchange(refused, due);
      done++;
    }
    const { device, basePfn, afterMap, pasid } = physical[trace.random.below(physical.length)]!;
    request(recipe, trace, device, basePfn, picker, afterMap, pasid);
  }
  for (const { timeNs, write } of due) {
    trace.advanceTo(timeNs);
    write();
  }
}

/** A copy of one page by CPU, now and then a pin or its unpin. */
function access(recipe: RecipeOf<'switches'>, trace: SyntheticTrace, driver: Software): void {
  const { device, basePfn } = driver.target;
  const pages = recipe.regionBytes / PAGE_SIZE;
  const turn = driver.count++ % PIN_EVERY;
  const row = { device, cpu: FIRST_DRIVER_CPU + device };
  if (turn < 2) {
    const range = { ...row, iovaPfn: basePfn, pageCount: Math.min(recipe.pinPages, pages), flags: READ_WRITE };
    trace.control(turn === 0 ? 'vfio_pin_pages' : 'vfio_unpin_pages', range, 0);
  } else {
    const page = trace.random.below(pages);
    trace.control('vfio_dma_rw', { ...row, iovaPfn: basePfn + page, pageCount: 1, flags: READ_WRITE }, 0);
  }
  driver.nextNs += recipe.accessGapNs;
}
