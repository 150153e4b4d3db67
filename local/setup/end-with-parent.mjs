// For `node --import`: ties a program that is not ours to the process that started it.
import { endWithParent } from './parent-watch.ts';

endWithParent(() => {});
