/** Of the libraries that carry streams over UDP what is used here; they come without types. */

declare module 'udx-native' {
  import type { EventEmitter } from 'node:events';

  /** Packets of streams are kept from its `message` event, which gets every other datagram. */
  export interface UDXSocket extends EventEmitter<{
    message: [bytes: Buffer, from: { host: string; port: number }];
    close: [];
  }> {
    readonly closing: boolean;
    address(): { host: string; port: number } | null;
    /** Throws the system's error. */
    bind(port: number, host: string): void;
    /** `ttl` 0 is the system's. Throws for what is no IP address. */
    trySend(bytes: Uint8Array, port: number, host: string, ttl?: number): void;
    /** Waits for the streams on it to end. */
    close(): Promise<void>;
  }

  /** `send` is what goes beside the stream: datagrams that may be lost or overtaken. */
  export interface UDXStream extends EventEmitter<{
    connect: [];
    data: [Buffer];
    message: [Buffer];
    end: [];
    error: [Error];
    close: [];
  }> {
    readonly rtt: number;
    readonly mtu: number;
    connect(socket: UDXSocket, remoteId: number, port: number, host: string): void;
    /** Resolves once all that was sent before has been acknowledged, null if it has been; throws while another change lasts. */
    changeRemote(socket: UDXSocket, remoteId: number, port: number, host: string): Promise<void> | null;
    trySend(bytes: Uint8Array): void;
    destroy(error?: Error): void;
  }

  export default class UDX {
    createSocket(options?: { ipv6Only?: boolean }): UDXSocket;
    createStream(id: number): UDXStream;
  }
}

declare module '@hyperswarm/secret-stream' {
  import type { EventEmitter } from 'node:events';
  import type { Duplex } from 'node:stream';
  import type { UDXStream } from 'udx-native';

  export interface KeyPair {
    readonly publicKey: Buffer;
    readonly secretKey: Buffer;
  }

  /** Keeps the bounds of what is written: each `write` is one `data`. */
  export default class SecretStream extends EventEmitter<{
    handshake: [];
    connect: [];
    data: [Buffer];
    message: [Buffer];
    drain: [];
    end: [];
    error: [Error];
    close: [];
  }> {
    constructor(
      isInitiator: boolean,
      raw: null,
      options: { autoStart: false; pattern: 'IK'; remotePublicKey: Buffer },
    );
    start(raw: UDXStream | Duplex, options: { keyPair: KeyPair }): void;
    static keyPair(seed: Uint8Array): KeyPair;
    readonly remotePublicKey: Buffer | null;
    readonly destroying: boolean;
    /** Room for a message of so many bytes, which `write` then encrypts in its place. */
    alloc(bytes: number): Buffer;
    write(message: Uint8Array): boolean;
    end(): void;
    /** Resolves with true once the other side has acknowledged all that was written, else with false. */
    flush(): Promise<boolean>;
    /** A datagram of its own, encrypted. */
    trySend(bytes: Uint8Array): void;
    destroy(error?: Error): void;
  }
}
