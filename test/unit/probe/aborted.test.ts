import { getEventListeners } from 'node:events';
import { beforeEach, describe, expect, it } from 'vitest';
import { unlessAborted } from '../../../probe/drive/aborted.ts';

describe('what a signal may end', () => {
  let enough: AbortController;
  let stopped: number;
  let settle: { resolve: (result: string) => void; reject: (error: Error) => void };

  beforeEach(() => {
    enough = new AbortController();
    stopped = 0;
  });

  function begin(): Promise<string> {
    return unlessAborted('the test', enough.signal, (resolve, reject) => {
      settle = { resolve, reject };
      return () => stopped++;
    });
  }

  it('comes to what it comes to, and listens to the signal no more', async () => {
    const good = begin();
    settle.resolve('done');
    expect(await good).toBe('done');
    const bad = begin();
    settle.reject(new Error('broken'));
    await expect(bad).rejects.toThrow('broken');
    expect(getEventListeners(enough.signal, 'abort')).toEqual([]);
    enough.abort();
    expect(stopped).toBe(0);
  });

  it('is stopped, and rejects with the reason', async () => {
    const ending = begin();
    const reason = new Error('enough');
    enough.abort(reason);
    await expect(ending).rejects.toMatchObject({ code: 'ERR_ABORTED', place: 'the test', cause: reason });
    expect(stopped).toBe(1);
  });

  it('does not begin after the signal', async () => {
    enough.abort();
    let begun = false;
    const late = unlessAborted('the test', enough.signal, () => {
      begun = true;
      return () => undefined;
    });
    await expect(late).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    expect(begun).toBe(false);
  });
});
