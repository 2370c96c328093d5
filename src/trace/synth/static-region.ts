/** `scatter` and `strided`: requests over a region that is mapped before the trace begins. */
import { PAGE_SIZE } from '../../address.ts';
import { ConfigError } from '../../input-error.ts';
import { type PagePicker, pagePicker } from './page-picker.ts';
import type { RecipeOf } from './recipe.ts';
import type { SyntheticTrace } from './synthetic-trace.ts';

/** Throws ConfigError unless a region is a whole number of its blocks. */
export function checkRegion(recipe: { readonly regionBytes: number; readonly pageBytes: number }): void {
  if (recipe.regionBytes % recipe.pageBytes !== 0) {
    throw new ConfigError({ source: 'recipe', path: 'regionBytes', reason: 'not a multiple of pageBytes' });
  }
}

/** Writes a `scatter` trace. */
export function scatter(recipe: RecipeOf<'scatter'>, trace: SyntheticTrace): void {
  const pages = recipe.regionBytes / PAGE_SIZE;
  const picker = pagePicker(recipe.locality, pages);
  const bases = premappedDevices(recipe, trace);
  while (trace.rowsLeft > 0) {
    for (let device = 0; device < bases.length; device++) request(recipe, trace, device, bases[device]!, picker, 0);
  }
}

/** Writes a `strided` trace. */
export function strided(recipe: RecipeOf<'strided'>, trace: SyntheticTrace): void {
  if (recipe.strideBytes % recipe.requestBytes !== 0) {
    throw new ConfigError({ source: 'recipe', path: 'strideBytes', reason: 'not a multiple of requestBytes' });
  }
  const bases = premappedDevices(recipe, trace);
  let position = 0;
  while (trace.rowsLeft > 0) {
    const page = Math.floor(position / PAGE_SIZE);
    const offset = position % PAGE_SIZE;
    for (let device = 0; device < bases.length; device++) {
      const write = !trace.random.chance(recipe.readFraction);
      trace.dma(device, bases[device]! + page, offset, recipe.requestBytes, write, 0);
    }
    position = (position + recipe.strideBytes) % recipe.regionBytes;
  }
}

/** One request to a random place of a random page of the region at `basePfn`; gives its row. @hot */
export function request(
  recipe: { readonly requestBytes: number; readonly readFraction: number },
  trace: SyntheticTrace,
  device: number,
  basePfn: number,
  picker: PagePicker,
  afterControl: number,
  pasid = 0,
): number {
  const { random } = trace;
  const page = picker.next(random);
  const offset = random.below(PAGE_SIZE / recipe.requestBytes) * recipe.requestBytes;
  const write = !random.chance(recipe.readFraction);
  return trace.dma(device, basePfn + page, offset, recipe.requestBytes, write, afterControl, pasid);
}

/** Devices with one region each; gives the first IOVA page of every region. */
function premappedDevices(recipe: RecipeOf<'scatter' | 'strided'>, trace: SyntheticTrace): number[] {
  checkRegion(recipe);
  return Array.from({ length: recipe.devices }, () => {
    const device = trace.addDevice('synthetic');
    const iovaPfn = trace.allocateIova(device, recipe.regionBytes / PAGE_SIZE);
    trace.premap(device, iovaPfn, trace.physical.allocate(recipe.regionBytes, recipe.pageBytes));
    return iovaPfn;
  });
}
