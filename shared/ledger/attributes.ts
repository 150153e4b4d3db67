import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { MintmarkError } from '../errors.ts';

/** Reading and writing of DynamoDB attribute values. A row that is not as we write it is a defect, and says so. */
export type Item = Record<string, AttributeValue>;

export const string = (value: string): AttributeValue => ({ S: value });
export const number = (value: number): AttributeValue => ({ N: String(value) });
export const binary = (value: Uint8Array): AttributeValue => ({ B: value });
export const flag = (value: boolean): AttributeValue => ({ BOOL: value });
export const timestamp = (milliseconds: number): AttributeValue => ({ S: new Date(milliseconds).toISOString() });

function missing(name: string, type: string): MintmarkError {
  return new MintmarkError('INTERNAL', `A stored row has no ${type} attribute "${name}".`);
}

export function readString(item: Item, name: string): string {
  const value = item[name]?.S;
  if (value === undefined) throw missing(name, 'string');
  return value;
}

export function readNumber(item: Item, name: string): number {
  const value = item[name]?.N;
  if (value === undefined) throw missing(name, 'number');
  return Number(value);
}

export function readBinary(item: Item, name: string): Uint8Array {
  const value = item[name]?.B;
  if (value === undefined) throw missing(name, 'binary');
  return value;
}

export function readFlag(item: Item, name: string): boolean {
  const value = item[name]?.BOOL;
  if (value === undefined) throw missing(name, 'boolean');
  return value;
}

/** Milliseconds since the epoch, from an ISO 8601 string. */
export function readTimestamp(item: Item, name: string): number {
  const value = Date.parse(readString(item, name));
  if (Number.isNaN(value)) throw missing(name, 'timestamp');
  return value;
}

/** Undefined where the attribute is not there; one of another type is an error, for a list may be what restricts. */
export function readStrings(item: Item, name: string): string[] | undefined {
  const value = item[name];
  if (value === undefined) return undefined;
  if (value.L === undefined) throw missing(name, 'list of strings');
  return value.L.map((element) => {
    if (element.S === undefined) throw missing(name, 'list of strings');
    return element.S;
  });
}
