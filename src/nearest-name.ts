/** "Did you mean": the nearest of a list of names by edit distance. */

/** The nearest of `known`, or undefined when none is near (more than half of the letters differ). */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  return nearestNames(name, known, 1)[0];
}

/** Up to `most` of `known` that are near, the nearest first; equally near ones in the order of `known`. */
export function nearestNames(name: string, known: readonly string[], most: number): string[] {
  return [...new Set(known)]
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance * 2 <= Math.max(name.length, candidate.length))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, most)
    .map(({ candidate }) => candidate);
}

/** Levenshtein distance: insertions, deletions and substitutions that make `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 0; i < a.length; i++) {
    const current = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const substitution = previous[j]! + (a[i] === b[j] ? 0 : 1);
      current.push(Math.min(substitution, previous[j + 1]! + 1, current[j]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}
