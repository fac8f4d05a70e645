import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ERROR_CATALOGUE, NatprobeError } from '../../shared/errors.ts';

const PARTS = new URL('../../shared/errors/', import.meta.url);

it('the catalogue has each code of its parts, and none of them twice', async () => {
  const parts = await Promise.all(
    readdirSync(PARTS).map((file) => import(new URL(file, PARTS).href) as Promise<Record<string, object>>),
  );
  const codes = parts.flatMap((part) => Object.values(part)).flatMap((entries) => Object.keys(entries));
  expect(codes.length).toBeGreaterThan(90);
  expect(codes.toSorted()).toEqual(Object.keys(ERROR_CATALOGUE).toSorted());
});

it('an error says where, what, why, and what to change', () => {
  const error = new NatprobeError('ERR_PORT', '--port', '70000');
  expect(error.message).toBe('--port: not a port (70000); give a whole number from 1 to 65535');
  expect(error).toMatchObject({ code: 'ERR_PORT', place: '--port', detail: '70000', exitCode: 2 });
});
