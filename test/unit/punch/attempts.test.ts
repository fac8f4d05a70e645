import { beforeEach, describe, expect, it } from 'vitest';
import { Attempts } from '../../../probe/punch/attempts.ts';
import { failureOf, RENEW_MS } from '../../../probe/punch/io.ts';

const SILENCE = failureOf('nothing-heard');

describe('the attempts at a hole', () => {
  let attempts: Attempts;

  beforeEach(() => {
    attempts = new Attempts();
    attempts.begin({ attempt: 1, attempts: 2 }, 100);
    attempts.end(7);
  });

  it('are added up, from the start of the first', () => {
    expect(attempts.retrying(SILENCE, 600)).toEqual({
      kind: 'retrying',
      reason: SILENCE,
      attempt: 2,
      packets: 7,
      tookMs: 500,
    });
    attempts.begin({ attempt: 2, attempts: 2 }, 2000);
    attempts.end(5);
    expect(attempts.retrying(SILENCE, 2500)).toBeUndefined();
    expect(attempts.fail(SILENCE, 2500)).toEqual({
      kind: 'failed',
      reason: SILENCE,
      attempt: 2,
      packets: 12,
      tookMs: 2400,
    });
    expect(attempts.begun).toBe(2);
  });

  it('wait for a plan until it is there, or the punch has failed', () => {
    expect(attempts.planBy).toBeUndefined();
    expect(attempts.renew(2, 600)).toEqual({ kind: 'renew', attempt: 2 });
    expect(attempts.planBy).toBe(600 + RENEW_MS);
    attempts.begin({ attempt: 2, attempts: 3 }, 700);
    expect(attempts.planBy).toBeUndefined();
    attempts.renew(3, 900, 50);
    expect(attempts.planBy).toBe(950);
    attempts.fail(failureOf('no-plan'), 950);
    expect(attempts.planBy).toBeUndefined();
  });

  it('count anew for the hole that follows a lost one', () => {
    attempts.forgetPackets();
    attempts.begin({ attempt: 1, attempts: 2 }, 5000);
    attempts.end(3);
    expect(attempts.fail(SILENCE, 5400)).toMatchObject({ packets: 3, tookMs: 400 });
    expect(attempts.begun).toBe(2);
  });

  it('take no time before the first has started, and none has where no plan came', () => {
    expect(attempts.tookMs(40)).toBe(0);
    expect(new Attempts().fail(failureOf('stopped'), 0)).toMatchObject({ attempt: 0, packets: 0, tookMs: 0 });
  });
});
