import { printable } from '../shared/terminal/index.ts';

/** One record of RFC 4180, without its line break: fields are quoted where they must be, and hold no control characters. */
export const csvLine = (fields: readonly (string | number | boolean | undefined)[]): string =>
  fields
    .map((field) => {
      const text = printable(String(field ?? ''));
      return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    })
    .join(',');
