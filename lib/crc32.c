/*
 * CRC-32 eight bytes at a time ("slicing by eight").
 *
 * slice[k][b] is what byte b contributes when k more bytes follow it. The map from b to that is linear over XOR, so
 * each slice is given by the contributions of the eight single bits, and the preprocessor spells out the 256 sums: the
 * tables are constants and cost no start-up time. The test compares them with the bitwise definition.
 */
#include "lib/crc32.h"

#include "lib/unaligned.h"

#define SUM(n, b0, b1, b2, b3, b4, b5, b6, b7)                                                           \
	(((n)&1 ? b0 : 0) ^ ((n)&2 ? b1 : 0) ^ ((n)&4 ? b2 : 0) ^ ((n)&8 ? b3 : 0) ^ ((n)&16 ? b4 : 0) ^ \
	 ((n)&32 ? b5 : 0) ^ ((n)&64 ? b6 : 0) ^ ((n)&128 ? b7 : 0))
#define SUMS_4(n, ...) SUM(n, __VA_ARGS__), SUM(n + 1, __VA_ARGS__), SUM(n + 2, __VA_ARGS__), SUM(n + 3, __VA_ARGS__)
#define SUMS_16(n, ...) \
	SUMS_4(n, __VA_ARGS__), SUMS_4(n + 4, __VA_ARGS__), SUMS_4(n + 8, __VA_ARGS__), SUMS_4(n + 12, __VA_ARGS__)
#define SUMS_64(n, ...)                                                                      \
	SUMS_16(n, __VA_ARGS__), SUMS_16(n + 16, __VA_ARGS__), SUMS_16(n + 32, __VA_ARGS__), \
		SUMS_16(n + 48, __VA_ARGS__)
/* clang-format off */
#define SLICE(...) \
	{SUMS_64(0, __VA_ARGS__), SUMS_64(64, __VA_ARGS__), SUMS_64(128, __VA_ARGS__), SUMS_64(192, __VA_ARGS__)}
/* clang-format on */

static const uint32_t slice[8][256] = {
	SLICE(0x77073096, 0xee0e612c, 0x076dc419, 0x0edb8832, 0x1db71064, 0x3b6e20c8, 0x76dc4190, 0xedb88320),
	SLICE(0x191b3141, 0x32366282, 0x646cc504, 0xc8d98a08, 0x4ac21251, 0x958424a2, 0xf0794f05, 0x3b83984b),
	SLICE(0x01c26a37, 0x0384d46e, 0x0709a8dc, 0x0e1351b8, 0x1c26a370, 0x384d46e0, 0x709a8dc0, 0xe1351b80),
	SLICE(0xb8bc6765, 0xaa09c88b, 0x8f629757, 0xc5b428ef, 0x5019579f, 0xa032af3e, 0x9b14583d, 0xed59b63b),
	SLICE(0x3d6029b0, 0x7ac05360, 0xf580a6c0, 0x30704bc1, 0x60e09782, 0xc1c12f04, 0x58f35849, 0xb1e6b092),
	SLICE(0xcb5cd3a5, 0x4dc8a10b, 0x9b914216, 0xec53826d, 0x03d6029b, 0x07ac0536, 0x0f580a6c, 0x1eb014d8),
	SLICE(0xa6770bb4, 0x979f1129, 0xf44f2413, 0x33ef4e67, 0x67de9cce, 0xcfbd399c, 0x440b7579, 0x8816eaf2),
	SLICE(0xccaa009e, 0x4225077d, 0x844a0efa, 0xd3e51bb5, 0x7cbb312b, 0xf9766256, 0x299dc2ed, 0x533b85da),
};

uint32_t crc32_update(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		uint32_t low = load_le32(p) ^ crc, high = load_le32(p + 4);

		crc = slice[7][low & 255] ^ slice[6][low >> 8 & 255] ^ slice[5][low >> 16 & 255] ^ slice[4][low >> 24] ^
			slice[3][high & 255] ^ slice[2][high >> 8 & 255] ^ slice[1][high >> 16 & 255] ^
			slice[0][high >> 24];
	}
	for (; len; len--)
		crc = slice[0][(crc ^ *p++) & 255] ^ crc >> 8;
	return ~crc;
}
