/* Fuzzes lib/gzip: no input may make it read past the end, write outside the workspace, or accept a wrong checksum. */
#include <stdlib.h>

#include "lib/crc32.h"
#include "lib/gzip.h"
#include "lib/unaligned.h"

enum { OUTPUT_MAX = 1 << 20 };

struct output {
	size_t len;
	uint32_t crc;
};

static int take(void *ctx, const void *data, size_t len)
{
	struct output *output = ctx;

	output->len += len;
	output->crc = crc32_update(output->crc, data, len);
	return output->len > OUTPUT_MAX ? -1000 : 0;
}

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	static uint8_t *workspace;
	struct output output = {0};
	const struct gzip_sink sink = {take, &output};
	size_t used = SIZE_MAX;
	const char *error = "";
	int status;

	if (!workspace)
		workspace = malloc(GZIP_WORKSPACE_BYTES);
	status = gzip_member_inflate(input, len, &used, &sink, workspace, GZIP_WORKSPACE_BYTES, &error);
	if (status) {
		require(used == SIZE_MAX);
		require(status == -1000 ? !error : *error != '\0');
		return 0;
	}
	require(used >= 18 && used <= len);
	require(load_le32(input + used - 8) == output.crc && load_le32(input + used - 4) == (uint32_t)output.len);
	return 0;
}
