/**
 * Tests that need something of the machine (root, nft, another program).
 *
 * A requirement is a sentence saying what is missing, or undefined where nothing is. Where something
 * is missing the test is skipped under a name that ends in that sentence; with NATPROBE_REQUIRE_ALL=1,
 * which CI sets, it fails instead.
 */
import { describe, it } from 'vitest';

export type Missing = string | undefined;

/** `describe`, where nothing is missing. */
export function describeIf(...requirements: Missing[]): (name: string, body: () => void) => void {
  const missing = reasonOf(requirements);
  return (name, body) => {
    if (missing === undefined) describe(name, body);
    else describe(name, () => registerSkip('all of it', missing));
  };
}

/** `it`, where nothing is missing. */
export function itIf(
  ...requirements: Missing[]
): (name: string, body: () => void | Promise<void>, timeoutMs?: number) => void {
  const missing = reasonOf(requirements);
  return (name, body, timeoutMs) => {
    if (missing === undefined) it(name, body, timeoutMs);
    else registerSkip(name, missing);
  };
}

function reasonOf(requirements: Missing[]): Missing {
  const missing = requirements.filter((requirement) => requirement !== undefined);
  return missing.length === 0 ? undefined : missing.join('; ');
}

function registerSkip(name: string, missing: string): void {
  if (process.env['NATPROBE_REQUIRE_ALL'] === '1') {
    it(`${name} (cannot run here: ${missing})`, () => {
      throw new Error(`NATPROBE_REQUIRE_ALL=1, and this test cannot run here: ${missing}`);
    });
    return;
  }
  console.warn(`skipped: ${name}: ${missing}`);
  it.skip(`${name} (skipped: ${missing})`, () => undefined);
}
