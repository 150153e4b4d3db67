import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { step } from '../../local/setup/steps.mjs';

let said: string;
beforeEach(() => {
  said = '';
  vi.useFakeTimers();
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const after = async (milliseconds: number, outcome: () => string) => {
  await new Promise((done) => setTimeout(done, milliseconds));
  return outcome();
};

it('says what it does and how long it took', async () => {
  const done = step('fetching', () => after(1500, () => 'fetched'));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await done).toBe('fetched');
  expect(said).toBe('set-up: fetching ... 1.5 s\n');
});

it('says every 15 seconds that it still runs, and no more when it has ended', async () => {
  const done = step('fetching', () => after(40_000, () => 'fetched'));
  await vi.advanceTimersByTimeAsync(120_000);
  await done;
  expect(said).toBe('set-up: fetching ... 15.0 s ... 30.0 s ... 40.0 s\n');
});

it('says that it failed, and nothing after that', async () => {
  const done = step('fetching', () =>
    after(20_000, () => {
      throw new Error('no network');
    }),
  );
  const [ended] = await Promise.allSettled([done, vi.advanceTimersByTimeAsync(120_000)]);
  expect(ended).toMatchObject({ status: 'rejected', reason: { message: 'no network' } });
  expect(said).toBe('set-up: fetching ... 15.0 s ... failed\n');
});
