/** Wrong use, or surroundings that are not as they must be: exit code 2. */
export class UsageError extends Error {
  /** What to do about it, a sentence. */
  readonly cure: string;

  /** @param message a sentence */
  constructor(message: string, cure: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UsageError';
    this.cure = cure;
  }
}
