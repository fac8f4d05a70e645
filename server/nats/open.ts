/** The connection to NATS: made when a server of it can be had, and made again for as long as natprobed runs. */
import { readFileSync } from 'node:fs';
import { setImmediate as turnEnds } from 'node:timers/promises';
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type NatsConnection,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { NatprobeError } from '../../shared/errors.ts';
import { messageOf } from '../../shared/thrown.ts';
import { systemErrorCode } from '../bind-error.ts';
import type { Log } from '../log.ts';
import type { NatsSettings } from './settings.ts';

/** Between two tries at the same server. */
const RECONNECT_MS = 250;
/** A server that is gone without a word is noticed after two of these. */
const PING_MS = 1000;
const LOST_PINGS = 2;
const CONNECT_TIMEOUT_MS = 2000;

export interface NatsLink {
  /** Whether a server of NATS is connected just now. */
  isUp(): boolean;
  /** Resolves with the connection, which lasts, once NATS has been reached for the first time; never if closed before. */
  readonly connected: Promise<NatsConnection>;
  close(): Promise<void>;
}

/** Does not wait for NATS. Throws ERR_KEY_FILE. */
export function openNats({ servers, credentialsFile }: NatsSettings, log: Log): NatsLink {
  const authenticator = credentialsFile === undefined ? undefined : readCredentials(credentialsFile);
  let isUp = false;
  let isClosed = false;
  let connection: NatsConnection | undefined;
  const { promise, resolve } = Promise.withResolvers<NatsConnection>();
  const connecting = connectForGood();
  return {
    isUp: () => isUp,
    connected: promise,
    async close() {
      isClosed = true;
      // What has just been sent is written first: if NATS has ended the connection, its client hears an error
      // of that, and once it has closed it does not listen any more.
      await turnEnds();
      await connection?.close();
      await connecting;
    },
  };

  async function connectForGood(): Promise<void> {
    let told = '';
    while (!isClosed) {
      try {
        connection = await connect({
          servers: [...servers],
          ...(authenticator && { authenticator }),
          name: 'natprobed',
          noEcho: true,
          maxReconnectAttempts: -1,
          // A user that NATS does not know just now it may know again.
          ignoreAuthErrorAbort: true,
          reconnectTimeWait: RECONNECT_MS,
          pingInterval: PING_MS,
          maxPingOut: LOST_PINGS,
          timeout: CONNECT_TIMEOUT_MS,
        });
        break;
      } catch (error) {
        const reason = messageOf(error);
        if (reason !== told) log('warning', `NATS cannot be had, it goes on trying: ${reason}`);
        told = reason;
        await new Promise((next) => setTimeout(next, RECONNECT_MS).unref());
      }
    }
    if (connection === undefined) return;
    if (isClosed) return connection.close();
    isUp = true;
    log('info', `NATS: connected to ${connection.getServer()}`);
    void follow(connection);
    resolve(connection);
  }

  async function follow(nats: NatsConnection): Promise<void> {
    let told = '';
    for await (const status of nats.status()) {
      const { type } = status;
      if (type === 'error') {
        const { message } = status.error;
        if (message !== told && !isClosed) log('warning', `NATS refuses: ${message}`);
        told = message;
      } else if (type === 'disconnect' && isUp) {
        isUp = false;
        if (!isClosed) log('warning', 'NATS: the connection is lost; it is made again');
      } else if (type === 'reconnect') {
        isUp = true;
        log('info', `NATS: connected to ${nats.getServer()}`);
      }
    }
    isUp = false;
  }
}

/**
 * A file of credentials as NATS's own tools write it (a JWT and its key), `USER:PASSWORD`, or a token.
 * Throws ERR_KEY_FILE, which does not show them.
 */
export function readCredentials(file: string): Authenticator {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    const code = systemErrorCode(error) ?? String(error);
    throw new NatprobeError('ERR_KEY_FILE', '--nats-credentials', code, { cause: error });
  }
  if (text === '') throw new NatprobeError('ERR_KEY_FILE', '--nats-credentials', 'it is empty');
  if (text.includes('BEGIN NATS USER JWT')) return credsAuthenticator(new TextEncoder().encode(text));
  const colon = text.indexOf(':');
  return colon === -1
    ? tokenAuthenticator(text)
    : usernamePasswordAuthenticator(text.slice(0, colon), text.slice(colon + 1));
}
