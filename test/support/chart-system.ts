/** A {@link VfioSystem} whose calls between rooms are drawn as a chart. */
import type { VfioDevice } from '../../src/stack/vfio/device.ts';
import type { VfioPciDriver } from '../../src/stack/vfio/vfio-pci.ts';
import { CallChart } from './call-chart.ts';
import type { BenchOptions } from './container-bench.ts';
import { VfioSystem } from './vfio-system.ts';

/** System, bench and chart of one test. */
export function chartSystem(options: BenchOptions = {}) {
  const chart = new CallChart();
  const system = new VfioSystem({ ...options, observer: chart });
  const { bench } = system;
  chart.driver = bench.driver;
  bench.driver.recordsQueries = true;
  return { chart, system, bench };
}

/** Draws what the device's own driver does at first open and last close. */
export function drawOpens(chart: CallChart, device: VfioDevice): void {
  const driver = device.driver as VfioPciDriver;
  const { openDevice, closeDevice } = driver;
  driver.openDevice = () => {
    chart.note('open_device');
    return openDevice.call(driver);
  };
  driver.closeDevice = () => {
    chart.note('close_device');
    return closeDevice.call(driver);
  };
}
