import { NatprobeError } from '../../../shared/errors.ts';
import type { RoomOptions } from '../../join.ts';
import { type RoomFlags, settleRoom } from '../peer-settings.ts';
import type { Settings } from '../settings.ts';
import { prepareSettings } from './prepare.ts';

export interface RoomRun {
  readonly settings: Settings;
  /** What the library is asked with these settings. */
  readonly options: RoomOptions;
}

/** As prepareSettings, for the commands that go into a room: --api is theirs without --report. */
export function prepareRoom(flags: RoomFlags): RoomRun {
  const { api, ...rest } = flags;
  const room = settleRoom(flags, process.env);
  const settings = prepareSettings(rest);
  const { servers, families, mapPort, keepMapping, localPort = mapPort } = settings;
  if (mapPort !== undefined && mapPort !== localPort)
    throw new NatprobeError(
      'ERR_FLAGS',
      '--local-port and --map-port',
      'the port that is mapped is the one that is punched from',
    );
  return {
    settings,
    options: {
      servers,
      families,
      ...room,
      ...(localPort !== undefined && { localPort }),
      ...(mapPort !== undefined && { mapPort: true, keepMapping }),
      ...(api !== undefined && { api }),
    },
  };
}
