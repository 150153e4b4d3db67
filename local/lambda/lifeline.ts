import { Socket } from 'node:net';
import { parentPort } from 'node:worker_threads';
import { lifelineDescriptor } from './protocol.ts';

// A thread of its own, because the main one may be busy in a handler, or blocked in native code, for good. The process
// leads its own group, so what the function itself started goes with it.
const end = () => process.kill(-process.pid, 'SIGKILL');

const lifeline = new Socket({ fd: lifelineDescriptor });
lifeline.once('end', end);
lifeline.once('error', end);
lifeline.resume();
parentPort?.postMessage('watching');
