import type { MessageSource } from '../../local/embedded/message-source.ts';

/** Event source mappings' sources that note how often messages come. */
export function countedSource(): {
  readonly source: (source: MessageSource) => MessageSource;
  /** The receive count of the message that came most often so far. */
  readonly highest: () => number;
} {
  let highest = 0;
  return {
    source: (source) => ({
      receive: async (maximum, signal) => {
        const messages = await source.receive(maximum, signal);
        for (const { Attributes: attributes } of messages)
          highest = Math.max(highest, Number(attributes?.ApproximateReceiveCount ?? 0));
        return messages;
      },
      delete: (messages) => source.delete(messages),
    }),
    highest: () => highest,
  };
}
