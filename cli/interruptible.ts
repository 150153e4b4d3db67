/** Interrupted: what was asked for is not whole. */
export class Interrupted extends Error {
  constructor() {
    super('Interrupted.');
    this.name = 'Interrupted';
  }
}

/**
 * The same items, until the signal says stop: then, also while the next one is waited for, it throws.
 * @throws Interrupted
 */
export async function* interruptible<Item>(
  items: AsyncIterable<Item>,
  signal: AbortSignal,
): AsyncGenerator<Item, void, undefined> {
  const iterator = items[Symbol.asyncIterator]();
  for (;;) {
    const next = await nextOf(iterator, signal);
    if (next.done === true) return;
    yield next.value;
  }
}

/** A promise of its own for each item: one that stays open would remember every race that it was in. */
function nextOf<Item>(iterator: AsyncIterator<Item>, signal: AbortSignal): Promise<IteratorResult<Item>> {
  const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Item>>();
  const interrupt = () => reject(new Interrupted());
  if (signal.aborted) interrupt();
  else {
    signal.addEventListener('abort', interrupt, { once: true });
    iterator
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', interrupt));
  }
  return promise;
}
