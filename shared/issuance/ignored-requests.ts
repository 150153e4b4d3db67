/** Something that a CSR asks for and does not get. */
export interface IgnoredRequest {
  /** Such as `subject countryName`. */
  readonly kind: string;
  /** What tells the first of its kind from others, where that is worth a word. */
  readonly value?: string;
}

const maximumEntries = 20;

/**
 * For the row: each kind once, with the first that there was of it and how many more, 20 kinds at most. A CSR of 16 KiB
 * could have thousands of names, and each row is kept for years.
 */
export function summariseIgnored(ignored: readonly IgnoredRequest[]): readonly string[] {
  const kinds = Map.groupBy(ignored, ({ kind }) => kind);
  const entries = [...kinds].map(([kind, [first, ...others]]) => {
    const one = first?.value === undefined ? kind : `${kind} ${first.value}`;
    return others.length === 0 ? one : `${one} and ${others.length} more`;
  });
  if (entries.length <= maximumEntries) return entries;
  return [...entries.slice(0, maximumEntries), `and ${entries.length - maximumEntries} more`];
}
