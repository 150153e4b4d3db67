/** What is known, a name and its value each: a line for each, the values below each other. */
export function factLines(facts: readonly (readonly [what: string, value: string | number | undefined])[]): string[] {
  const told = facts.filter(([, value]) => value !== undefined && value !== '');
  const width = Math.max(...told.map(([what]) => what.length));
  return told.map(([what, value]) => `${what.padEnd(width)}  ${value}`);
}
