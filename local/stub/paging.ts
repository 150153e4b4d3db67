/** One page of a list; `next` is the opaque text that the next request hands back, absent at the end. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next?: string;
}

export interface PageRequest {
  /** Names the list, so that a marker of one operation is refused by another. */
  readonly list: string;
  readonly limit: number;
  readonly marker?: string | undefined;
}

/**
 * A marker holds the last item's id, not an offset, so that items added meanwhile neither repeat nor hide others.
 * @returns undefined for a marker that this list did not give
 */
export function page<Item>(
  items: readonly Item[],
  idOf: (item: Item) => string,
  request: PageRequest,
): Page<Item> | undefined {
  let start = 0;
  if (request.marker !== undefined) {
    const marked = items.findIndex((item) => markerOf(request.list, idOf(item)) === request.marker);
    if (marked === -1) return undefined;
    start = marked + 1;
  }
  const taken = items.slice(start, start + request.limit);
  const last = taken.at(-1);
  if (last === undefined || start + taken.length >= items.length) return { items: taken };
  return { items: taken, next: markerOf(request.list, idOf(last)) };
}

function markerOf(list: string, id: string): string {
  return Buffer.from(`${list}\0${id}`).toString('base64url');
}
