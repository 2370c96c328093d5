/** A sequence chart as text: calls between rooms of the stack, indented by nesting, with the driver's calls (`drv.`) in place. */
import type { CallObserver } from '../../src/stack/kernel/call-observer.ts';
import type { TableDriver } from './table-driver.ts';

/** Collects lines; pass it to the bench, then say whose driver calls belong in. */
export class CallChart implements CallObserver {
  driver: TableDriver | undefined;
  #lines: string[] = [];
  #depth = 0;

  enter(call: string): void {
    this.note(call);
    this.#depth++;
  }

  leave(_call: string): void {
    this.#takeDriverCalls();
    this.#depth--;
  }

  /** A line of its own at this point: something a device's driver does. */
  note(text: string): void {
    this.#takeDriverCalls();
    this.#push(text);
  }

  /** Lines since the last question. */
  take(): string[] {
    this.#takeDriverCalls();
    return this.#lines.splice(0);
  }

  #takeDriverCalls(): void {
    for (const call of this.driver?.take() ?? []) this.#push(`drv.${call}`);
  }

  #push(text: string): void {
    this.#lines.push(`${'  '.repeat(this.#depth)}${text}`);
  }
}
