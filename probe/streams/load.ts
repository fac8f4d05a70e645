/** Loads the libraries that carry streams over UDP: late, since they are native and only some commands need them. */
import type SecretStreamClass from '@hyperswarm/secret-stream';
import type UDXClass from 'udx-native';
import { NatprobeError } from '../../shared/errors.ts';

export interface StreamLibraries {
  /** One for the process: a stream can move between sockets of the same instance alone. */
  readonly udx: UDXClass;
  readonly SecretStream: typeof SecretStreamClass;
}

let loading: Promise<StreamLibraries> | undefined;

/** Throws ERR_STREAM_PLATFORM where they have no build for this system. */
export function loadStreamLibraries(): Promise<StreamLibraries> {
  loading ??= load();
  return loading;
}

async function load(): Promise<StreamLibraries> {
  try {
    const [{ default: UDX }, { default: SecretStream }] = await Promise.all([
      import('udx-native'),
      import('@hyperswarm/secret-stream'),
    ]);
    return { udx: new UDX(), SecretStream };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n', 1)[0] : undefined;
    throw new NatprobeError('ERR_STREAM_PLATFORM', `${process.platform}-${process.arch}`, reason, {
      cause: error,
    });
  }
}
