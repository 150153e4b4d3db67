// What is written for people: by the commands in cli and by the local cloud's console, neither of which may import the
// other. That is why it is here, though it is no part of the domain.
export { printable } from './printable.ts';
export { Progress } from './progress.ts';
export { table } from './table.ts';
