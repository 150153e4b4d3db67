import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cloudHsmId, hexId, uuid } from '../../local/stub/identifiers.ts';
import { page } from '../../local/stub/paging.ts';

describe('page', () => {
  const ids = fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 30 });
  const idOf = (id: string) => id;

  it('gives every item once, in order, in pages of at most the limit', () => {
    fc.assert(
      fc.property(ids, fc.integer({ min: 1, max: 10 }), (items, limit) => {
        const seen: string[] = [];
        let marker: string | undefined;
        do {
          const found = page(items, idOf, { list: 'things', limit, marker });
          if (found === undefined) throw new Error('the marker was refused');
          expect(found.items.length).toBeLessThanOrEqual(limit);
          if (found.next !== undefined) expect(found.items).toHaveLength(limit);
          seen.push(...found.items);
          marker = found.next;
        } while (marker !== undefined);
        expect(seen).toEqual(items);
      }),
    );
  });

  it('neither repeats nor loses items when others are added before them meanwhile', () => {
    const first = page(['b', 'c', 'd'], idOf, { list: 'things', limit: 1 });
    const second = page(['a', 'b', 'c', 'd'], idOf, { list: 'things', limit: 5, marker: first?.next });
    expect([first?.items, second?.items]).toEqual([['b'], ['c', 'd']]);
  });

  it('knows no marker but its own', () => {
    const next = page(['a', 'b'], idOf, { list: 'things', limit: 1 })?.next;
    expect(next).toEqual(expect.any(String));
    expect(page(['a', 'b'], idOf, { list: 'others', limit: 1, marker: next })).toBeUndefined();
    expect(page(['a', 'b'], idOf, { list: 'things', limit: 1, marker: '' })).toBeUndefined();
  });
});

describe('identifiers', () => {
  const random = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => {
    return (length: number) => Buffer.from(bytes.subarray(0, length));
  });

  it("have the forms of AWS's models for any randomness", () => {
    fc.assert(
      fc.property(random, (randomBytes) => {
        expect(cloudHsmId('cluster', randomBytes)).toMatch(/^cluster-[2-7a-zA-Z]{11,16}$/);
        expect(hexId('subnet', randomBytes)).toMatch(/^subnet-[0-9a-fA-F]{8,17}$/);
        expect(uuid(randomBytes)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      }),
    );
  });
});
