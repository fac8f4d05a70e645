/**
 * Connections that may wait for the event loop to accept them; the system allows fewer where its own limit is
 * lower (net.core.somaxconn, 4096 by default on Linux). Node's default of 511 is gone after a storm, or a standstill
 * of a second. Beyond it Linux answers with SYN cookies, and connections stand at their clients that the server
 * never hears of, so that nothing ends them.
 */
export const LISTEN_BACKLOG = 4096;
