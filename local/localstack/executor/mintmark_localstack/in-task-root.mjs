// The process of an execution environment starts in LAMBDA_TASK_ROOT, as in Lambda; Python's posix_spawn cannot say so.
import { pathToFileURL } from 'node:url';

const [, , runtime = ''] = process.argv;
process.chdir(process.env.LAMBDA_TASK_ROOT ?? '/');
await import(pathToFileURL(runtime).href);
