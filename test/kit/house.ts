import { join } from "node:path";

/** The checkout that is tested. */
export const ROOT = new URL("../../", import.meta.url).pathname;

/**
 * State folder of the tests that boot machines. One for all of them, so that images are built once; under /var/tmp, since
 * QEMU's user must reach it and /tmp may be small or private.
 */
export const TEST_STATE = process.env["TESTBED_TEST_STATE"] ?? "/var/tmp/testbed-test";

/** ImagePlaces of images that misbehave in one way each. */
export const FIXTURE_IMAGES = join(ROOT, "test/fixtures/images");

/** Catalogue of the example of a derived image. */
export const EXAMPLE_IMAGES = join(ROOT, "config/examples/images");
