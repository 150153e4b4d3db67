/**
 * JSON text that may be shown on a terminal: what JSON.stringify leaves as it is, but a terminal may act upon (C1
 * controls, DEL, marks that turn the direction of writing), is escaped. The value stays the same.
 */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replaceAll(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, escapeUnits);
}

/** Each UTF-16 unit by itself: JSON has no other escape. */
function escapeUnits(character: string): string {
  return Array.from({ length: character.length }, (_, index) => {
    const unit = character.charCodeAt(index).toString(16).padStart(4, '0');
    return `\\u${unit}`;
  }).join('');
}

/** RFC 3339 in UTC, as all times are shown; undefined stays so. */
export const isoTime = (milliseconds: number | undefined): string | undefined =>
  milliseconds === undefined ? undefined : new Date(milliseconds).toISOString();

/** To the second, for tables. */
export const shortTime = (milliseconds: number | undefined): string =>
  isoTime(milliseconds)?.replace(/\.\d{3}Z$/, 'Z') ?? '';
