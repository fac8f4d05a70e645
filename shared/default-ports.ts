/** The port of STUN (RFC 8489 §16.7), natprobed's first by default. */
export const DEFAULT_PORT = 3478;
/** natprobed's second port by default, and stuntman's and coturn's. */
export const DEFAULT_ALTERNATE_PORT = 3479;
/** Of natprobed's HTTP side. */
export const DEFAULT_HTTP_PORT = 8478;
/** The port of STUN over TLS (RFC 8489 §16.7); natprobed's second one follows, as coturn's does. */
export const DEFAULT_TLS_PORT = 5349;
