/** A statement of a policy in deploy/*.yml. */
export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | readonly string[];
  readonly Resource: unknown;
  readonly Principal?: unknown;
  readonly Condition?: unknown;
}

/** Every statement of every policy in what was read of a file, those under an Fn::If among them. */
export function statementsIn(value: unknown): Statement[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'Effect' in value && 'Action' in value ? [value as Statement] : [];
  return [...own, ...Object.values(value).flatMap(statementsIn)];
}

/** The values of a request's condition keys; a key that the request does not have is not there. */
export type RequestContext = Readonly<Record<string, readonly string[]>>;

type Operator = (given: readonly string[] | undefined, patterns: readonly string[]) => boolean;

const isLike = (value: string, pattern: string): boolean => {
  const source = pattern.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${source.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's').test(value);
};
const isLikeOne = (patterns: readonly string[]) => (value: string) => patterns.some((each) => isLike(value, each));

/** IAM user guide, "IAM JSON policy elements: Condition operators" and "Multivalued context keys"; those used here. */
const operators: Readonly<Record<string, Operator>> = {
  'ForAllValues:StringEquals': (given, values) => (given ?? []).every((value) => values.includes(value)),
  'ForAllValues:StringLike': (given, patterns) => (given ?? []).every(isLikeOne(patterns)),
  'ForAllValues:StringNotLike': (given, patterns) => !(given ?? []).some(isLikeOne(patterns)),
  Null: (given, [isAbsent]) => (given === undefined) === (isAbsent === 'true'),
  StringEqualsIfExists: (given, values) => given === undefined || given.some((value) => values.includes(value)),
  ArnEqualsIfExists: (given, patterns) => given === undefined || given.some(isLikeOne(patterns)),
  ArnNotLike: (given, patterns) => given === undefined || !given.some(isLikeOne(patterns)),
};

/**
 * Whether a condition holds for a request, as IAM decides it: every operator, for every one of its keys.
 * @param resolve what CloudFormation makes of a value that is not a text
 * @throws for an operator that is not known here
 */
export function holds(condition: unknown, context: RequestContext, resolve: (value: object) => string[]): boolean {
  const blocks = Object.entries((condition ?? {}) as Record<string, Record<string, unknown>>);
  return blocks.every(([name, keys]) => {
    const operator = operators[name];
    if (operator === undefined) throw new Error(`A condition operator that is not known here: ${name}`);
    return Object.entries(keys).every(([key, patterns]) => {
      const texts = [patterns]
        .flat()
        .flatMap((each) => (typeof each === 'object' && each !== null ? resolve(each) : [String(each)]));
      return operator(context[key], texts);
    });
  });
}
