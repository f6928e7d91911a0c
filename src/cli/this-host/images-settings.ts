import { readCertificates } from "#config/certificates.ts";
import type { Config } from "#config/config.ts";
import { ConfigError } from "#config/config-error.ts";
import { defaultsOf } from "#config/config-value.ts";
import { type ImagesConfig, imagesConfigSchema } from "#config/images-config.ts";
import type { FollowedSource } from "#host/images/follow/source.ts";

/** Which images this host follows, as its file says, and the catalogues themselves. */
export type ImagesSettings = {
  readonly config: ImagesConfig;
  readonly sources: readonly FollowedSource[];
};

/**
 * The file of images and what it leads to: certificates and keys are read. Without a file there are no catalogues; one that was named must
 * be there. Throws `ConfigError`.
 */
export async function readImagesSettings(file: Config["imagesFile"]): Promise<ImagesSettings> {
  const isThere = file !== undefined && (file.isNamed || (await exists(file.path)));
  if (!isThere) return { config: defaultsOf(imagesConfigSchema), sources: [] };
  // Only now: most commands of most hosts never need what reads a file.
  const { readConfigFile } = await import("#config/config-file.ts");
  const { imagesFindings } = await import("#cli/image/images-findings.ts");
  const config = await readConfigFile(file.path, imagesConfigSchema, imagesFindings);
  const { openSource } = await import("#host/images/follow/source.ts");
  const sources: FollowedSource[] = [];
  for (const [at, catalogue] of config.catalogues.entries()) {
    const { ca } = catalogue;
    const place = `${file.path}: catalogues.${at}`;
    const pem = ca === undefined ? undefined : await readCertificates(`${place}.ca`, ca);
    try {
      sources.push(openSource({ ...catalogue, ca: pem }));
    } catch (error) {
      throw new ConfigError(`${place}: ${(error as Error).message}`, { cause: error });
    }
  }
  return { config, sources };
}

async function exists(path: string): Promise<boolean> {
  const { access } = await import("node:fs/promises");
  return await access(path).then(
    () => true,
    () => false,
  );
}
