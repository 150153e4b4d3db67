import { randomUUID } from 'node:crypto';
import type { FunctionConfiguration, Surroundings } from './execution-environment.ts';
import { ExecutionEnvironment } from './execution-environment.ts';
import type { InvocationOutcome } from './protocol.ts';

/** A function and its execution environments: each invocation has one to itself, idle ones are used again. */
export class FunctionPool {
  readonly configuration: FunctionConfiguration;
  readonly #surroundings: Surroundings;
  readonly #all: ExecutionEnvironment[] = [];
  /** Last used first, as Lambda does: what is not needed stays idle. */
  readonly #idle: ExecutionEnvironment[] = [];
  readonly #running = new Set<Promise<InvocationOutcome>>();

  constructor(configuration: FunctionConfiguration, surroundings: Surroundings) {
    this.configuration = configuration;
    this.#surroundings = surroundings;
  }

  /** Invokes the function with `event`; concurrent calls run side by side. Rejects for nothing the function does. */
  async invoke(event: unknown): Promise<InvocationOutcome> {
    const environment = this.#idle.pop() ?? this.#create();
    const running = environment.invoke(randomUUID(), JSON.stringify(event));
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
      this.#idle.push(environment);
    }
  }

  /** The process ids of the environments that have a process now. */
  get pids(): readonly number[] {
    return this.#all.flatMap((environment) => environment.pid ?? []);
  }

  /** The environment that this session token belongs to. */
  environment(id: string): ExecutionEnvironment | undefined {
    return this.#all.find((environment) => environment.id === id);
  }

  /** Lets running invocations end (at their timeout at the latest), then kills every environment. */
  async stop(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
    await Promise.all(this.#all.map((environment) => environment.kill()));
  }

  #create(): ExecutionEnvironment {
    const environment = new ExecutionEnvironment(this.configuration, this.#surroundings);
    this.#all.push(environment);
    return environment;
  }
}
