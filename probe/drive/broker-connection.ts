/** The WebSocket to a broker: Node's own. Whatever goes wrong is a NatprobeError. */
import type { ClientMessage } from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { askApi } from './api-client.ts';

export interface BrokerHandlers {
  onOpen(): void;
  onFrame(text: string): void;
  /** It is over, or never was; nothing more is told. */
  onClosed(error: NatprobeError): void;
}

export interface BrokerConnection {
  send(message: ClientMessage): void;
  /** After what was sent. Nothing more is told. */
  close(): void;
}

const BROKER_PATH = 'broker';
const OPEN_MS = 10_000;
/** For asking over plain HTTP why the WebSocket did not open. */
const DIAGNOSIS_MS = 3000;
/** A list of the most peers that a room takes has a tenth of it. */
const LONGEST_FRAME = 1 << 20;
const NORMAL_CLOSURE = 1000;

/** Connects to the broker of that API. Ends in `onOpen` and then `onClosed`, or in `onClosed` alone, unless it is closed. */
export function connectBroker(api: URL, handlers: BrokerHandlers): BrokerConnection {
  const url = new URL(BROKER_PATH, api);
  url.protocol = api.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url);
  const over = new AbortController();
  const timer = setTimeout(() => end(late(url)), OPEN_MS);
  let isOpen = false;

  socket.addEventListener('open', () => {
    clearTimeout(timer);
    isOpen = true;
    if (!over.signal.aborted) handlers.onOpen();
  });
  socket.addEventListener('message', ({ data }) => {
    if (over.signal.aborted) return;
    if (typeof data !== 'string') end(unreadable(url, 'a binary frame'));
    else if (data.length > LONGEST_FRAME) end(unreadable(url, `a frame of ${data.length} bytes`));
    else handlers.onFrame(data);
  });
  // The event after it tells all that there is to tell.
  socket.addEventListener('error', () => undefined);
  socket.addEventListener('close', ({ code }) => {
    clearTimeout(timer);
    if (isOpen) end(new NatprobeError('ERR_BROKER_LOST', url.href, `closed with code ${code}`));
    else void diagnose(api, url, over.signal).then(end);
  });

  function end(error: NatprobeError): void {
    if (over.signal.aborted) return;
    stop();
    handlers.onClosed(error);
  }

  function stop(): void {
    over.abort();
    clearTimeout(timer);
    socket.close(NORMAL_CLOSURE);
  }

  return {
    send(message) {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
    },
    close: stop,
  };
}

/** Why there is no WebSocket: Node does not say, but a plain request for the same path does. */
async function diagnose(api: URL, url: URL, signal: AbortSignal): Promise<NatprobeError> {
  try {
    await askApi(api, { method: 'GET', path: BROKER_PATH, timeoutMs: DIAGNOSIS_MS, signal });
    return new NatprobeError('ERR_NO_BROKER', url.href, 'something else answers there');
  } catch (error) {
    if (!(error instanceof NatprobeError)) throw error;
    switch (error.code) {
      case 'ERR_API_UNREACHABLE':
      case 'ERR_API_ANSWER':
        return error;
      case 'ERR_REQUEST':
        // What a broker says to who comes without a WebSocket (426).
        return new NatprobeError('ERR_NO_BROKER', url.href, 'it is there, but no WebSocket gets through');
      default:
        return new NatprobeError('ERR_NO_BROKER', url.href, error.detail ?? error.code, { cause: error });
    }
  }
}

function late(url: URL): NatprobeError {
  return new NatprobeError('ERR_NO_BROKER', url.href, `no answer in ${OPEN_MS / 1000} s`);
}

function unreadable(url: URL, what: string): NatprobeError {
  return new NatprobeError('ERR_BROKER_MESSAGE', url.href, what);
}
