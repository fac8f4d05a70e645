import { describe, expect, it } from 'vitest';
import { resolveAlternate, resolveServers } from '../../../probe/drive/resolve.ts';

describe('names and addresses', () => {
  it('takes literal addresses as they are, with port 3478 unless given', async () => {
    const servers = [
      { host: '192.0.2.1', port: undefined },
      { host: '2001:db8::1', port: 19302 },
    ];
    expect(await resolveServers(servers, 1000)).toEqual({
      addresses: [
        { ipv4: { address: '192.0.2.1', port: 3478 } },
        { ipv6: { address: '2001:db8::1', port: 19302 } },
      ],
      unresolved: [],
    });
  });

  it('gives --alt port 3479', async () => {
    expect(await resolveAlternate({ host: '192.0.2.2', port: undefined }, 1000)).toEqual({
      ipv4: { address: '192.0.2.2', port: 3479 },
    });
  });

  it('asks the system for names', async () => {
    const { addresses } = await resolveServers([{ host: 'localhost', port: 1 }], 5000);
    expect(addresses).toHaveLength(1);
    const loopback = [addresses[0]?.ipv4?.address, addresses[0]?.ipv6?.address];
    expect(loopback.some((address) => address === '127.0.0.1' || address === '::1')).toBe(true);
  });

  it('leaves out a name that does not resolve while another does', async () => {
    const servers = [
      { host: 'nothing.invalid', port: undefined },
      { host: '192.0.2.1', port: undefined },
    ];
    expect(await resolveServers(servers, 5000)).toEqual({
      addresses: [{ ipv4: { address: '192.0.2.1', port: 3478 } }],
      unresolved: ['nothing.invalid'],
    });
  });

  it('says ERR_RESOLVE, naming the host, if none resolves', async () => {
    await expect(resolveServers([{ host: 'nothing.invalid', port: undefined }], 5000)).rejects.toMatchObject({
      code: 'ERR_RESOLVE',
      place: 'nothing.invalid',
      exitCode: 3,
    });
  });
});
