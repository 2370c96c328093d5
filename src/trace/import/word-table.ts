/** Turns words of a text into strings, the same string for the same word: a trace repeats a few hundred words. */

const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });
/** Words kept, at most; a damaged text may consist of different words only. */
const MAX_WORDS = 4096;
/** Slots of the hash table: a power of two, at most a quarter full. */
const SLOTS = 4 * MAX_WORDS;
/** [bytes] Longer words are not kept. */
const MAX_WORD_BYTES = 64;

/** Text of bytes `start` .. `end`-1. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  return DECODER.decode(bytes.subarray(start, end));
}

/** Bytes of an ASCII word that a parser looks for. */
export function ascii(word: string): Uint8Array {
  return Uint8Array.from(word, (character) => character.charCodeAt(0));
}

/** Words seen so far. */
export class WordTable {
  readonly #slots = new Int32Array(SLOTS);
  readonly #bytes: Uint8Array[] = [];
  readonly #words: string[] = [];

  /** The word at bytes `start` .. `end`-1. @hot */
  text(bytes: Uint8Array, start: number, end: number): string {
    if (end - start > MAX_WORD_BYTES) return decodeText(bytes, start, end);
    let hash = end - start;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 16_777_619);
    let slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    for (;;) {
      const word = this.#slots[slot]! - 1;
      if (word < 0) break;
      if (isSame(this.#bytes[word]!, bytes, start, end)) return this.#words[word]!;
      slot = (slot + 1) & (SLOTS - 1);
    }
    const text = decodeText(bytes, start, end);
    if (this.#words.length < MAX_WORDS) {
      this.#bytes.push(bytes.slice(start, end));
      this.#slots[slot] = this.#words.push(text);
    }
    return text;
  }
}

function isSame(word: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (word.length !== end - start) return false;
  for (let at = 0; at < word.length; at++) if (word[at] !== bytes[start + at]) return false;
  return true;
}
