/** What is wrong with a layer, or with what one is made of: not a request's error, so none of errors.ts. */
export class LayerError extends Error {
  /** What to do about it, a sentence. */
  readonly cure: string;

  /** @param message a sentence */
  constructor(message: string, cure: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LayerError';
    this.cure = cure;
  }
}
