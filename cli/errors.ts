/** Something wrong with one of several files. */
export interface FileProblem {
  readonly file: string;
  /** A sentence. */
  readonly problem: string;
  readonly cure: string;
}

/** Wrong use, or surroundings that are not as they must be: exit code 2. */
export class UsageError extends Error {
  /** What to do about it, a sentence. */
  readonly cure: string;
  /** File by file, where there are several; told a line each. */
  readonly problems: readonly FileProblem[];

  /** @param message a sentence */
  constructor(message: string, cure: string, options?: ErrorOptions & { readonly problems?: readonly FileProblem[] }) {
    super(message, options);
    this.name = 'UsageError';
    this.cure = cure;
    this.problems = options?.problems ?? [];
  }
}
