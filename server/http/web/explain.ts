/** What a visitor can do about what was found, or why nothing was. */
import type { Verdict } from '../../../shared/nat/verdict.ts';
import { ClassifyBrowserError } from './classify-browser.ts';

export interface Explanation {
  readonly headline: string;
  readonly text: string;
}

const TERMINAL = 'From a terminal, natprobe measures without a browser: see below.';

/** Where the verdict's own words don't say it. */
export function explainVerdict({ type, reasons }: Verdict): string | undefined {
  if (reasons.some(({ code }) => code === 'browser-policy'))
    return `This browser keeps WebRTC from UDP, so that there is nothing to measure with. A setting, an extension or an administrator’s policy does that (“WebRTC IP handling”). ${TERMINAL}`;
  if (type === 'cone')
    return 'Every peer sees the same public endpoint. This server has one address, and so can’t tell who gets in.';
  if (type === 'inconclusive')
    return `Too little came through to tell, in the time given. Measuring again may help. ${TERMINAL}`;
  return undefined;
}

export function explainFailure(error: unknown): Explanation {
  if (!(error instanceof ClassifyBrowserError))
    return {
      headline: 'The server did not answer',
      text: 'The page came from it, but it can’t be reached now. Is this browser still online?',
    };
  switch (error.code) {
    case 'webrtc-missing':
      return {
        headline: 'WebRTC is off in this browser',
        text: `Without it a page can’t send over UDP. Switch it on, or try another browser. ${TERMINAL}`,
      };
    case 'unfinished':
    case 'ERR_NO_BROWSER_SESSION':
      return {
        headline: 'The server took too long',
        text: `It was asked and has not finished: it is busier than it can bear, or has been started anew meanwhile. Measure again in some seconds. ${TERMINAL}`,
      };
    case 'ERR_BROWSER_SESSIONS':
    case 'ERR_TOO_MANY_REQUESTS':
      return {
        headline: 'The server is busy',
        text: 'It measures as many browsers as it may at a time. Measure again in some seconds.',
      };
    default:
      return { headline: 'The server can’t measure now', text: `${error.message}.` };
  }
}
