/** Whether it is a moment at all: what a Date can hold (ECMA-262, "Time Values and Time Range"). */
export function isTime(milliseconds: number | undefined): milliseconds is number {
  return milliseconds !== undefined && !Number.isNaN(new Date(milliseconds).getTime());
}

/** As ISO 8601 writes it. @throws RangeError for what is no time */
export function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
