import { describe, expect, it } from 'vitest';
import { parseDuration, readReportSettings } from '../../../../server/reports/settings.ts';

const DAY_MS = 86_400_000;

describe('what natprobed is told about reports', () => {
  it('is this if nothing is said', () => {
    expect(readReportSettings({})).toEqual({
      directory: undefined,
      keepMs: 90 * DAY_MS,
      addresses: 'prefix',
    });
  });

  it('is read from the flags', () => {
    expect(readReportSettings({ data: '/var/lib/natprobed', keep: '12h', addresses: 'none' })).toEqual({
      directory: '/var/lib/natprobed',
      keepMs: DAY_MS / 2,
      addresses: 'none',
    });
    expect(readReportSettings({ data: ':memory:' }).directory).toBeUndefined();
  });

  it('is a database in place of a directory', () => {
    const database = 'postgres://natprobe:secret@db.example.org:5432/natprobe';
    expect(readReportSettings({ database }).postgres).toEqual({ url: database });
    expect(readReportSettings({ database, databasePasswordFile: '/run/password' }).postgres).toEqual({
      url: database,
      passwordFile: '/run/password',
    });
  });

  it('is refused without showing a password', () => {
    for (const database of ['mysql://ann:s3cret@db/natprobe', 'postgres://ann:s3cret@db:x/natprobe']) {
      expect(() => readReportSettings({ database })).toThrow(
        expect.objectContaining({
          code: 'ERR_DATABASE',
          message: expect.not.stringContaining('s3cret') as string,
        }),
      );
    }
  });

  it.each([
    [{ database: 'postgres://db/natprobe', data: '/var/lib/natprobed' }, 'ERR_FLAGS', '--database: '],
    [{ databasePasswordFile: '/run/password' }, 'ERR_FLAGS', '--database-password-file: '],
    [{ data: '' }, 'ERR_DATA', '--data: '],
    [
      { addresses: 'some' },
      'ERR_USAGE',
      '--addresses: not understood (got "some"; it takes full, prefix, none)',
    ],
    [
      { keep: 'forever' },
      'ERR_DURATION',
      '--keep: not a length of time (got "forever"); write a whole number',
    ],
  ])('is refused as %j', (flags, code, message) => {
    expect(() => readReportSettings(flags)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
  });
});

describe('a duration', () => {
  it.each([
    ['45s', 45_000],
    ['30m', 1_800_000],
    ['12h', DAY_MS / 2],
    ['90d', 90 * DAY_MS],
    ['36500d', 36_500 * DAY_MS],
  ])('%s', (text, durationMs) => {
    expect(parseDuration(text, '--keep')).toBe(durationMs);
  });

  it.each(['', '0d', '90', 'd', '-1d', '1.5h', '1 d', '1w', '36501d', '99999999999d', '1d1h', '٣d'])(
    'is not %j',
    (text) => {
      expect(() => parseDuration(text, '--keep')).toThrow(expect.objectContaining({ code: 'ERR_DURATION' }));
    },
  );
});
