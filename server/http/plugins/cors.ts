import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

const PREFLIGHT_AGE_S = 600;

/** Lets pages of these origins ask, and see the answers. */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return;
  app.register(cors, {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'HEAD', 'POST'],
    allowedHeaders: ['accept', 'authorization', 'content-type'],
    exposedHeaders: ['location', 'retry-after'],
    maxAge: PREFLIGHT_AGE_S,
  });
}
