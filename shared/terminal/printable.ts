/**
 * Text from outside, as it may be shown: what moves a terminal's cursor, changes the direction of writing or breaks a
 * line is a question mark (Unicode's general category C: control, format, surrogate, private use, unassigned).
 *
 * @param longest characters; what is beyond is cut
 */
export function printable(text: string, longest = Number.POSITIVE_INFINITY): string {
  const shown = text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
  return shown.length > longest ? `${shown.slice(0, longest - 3)}...` : shown;
}
