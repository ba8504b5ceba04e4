#include "port/resolvconf.h"
#include "tests/fake_hostsock.h"
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In a folder of its own; "conf" is the path that is looked at. */
static char old_dir[4096], dir[] = "/tmp/test_resolvconf.XXXXXX";

static int setup(void **state)
{
	strcpy(strrchr(dir, '.'), ".XXXXXX");
	assert_non_null(getcwd(old_dir, sizeof(old_dir)));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	return 0;
}

static int teardown(void **state)
{
	unlink("conf");
	unlink("one");
	unlink("two");
	assert_int_equal(chdir(old_dir), 0);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void assert_servers(const struct resolvconf *c, const char *want)
{
	char got[RESOLVCONF_MAX * ENDPOINT_STRLEN] = "", one[ENDPOINT_STRLEN];

	for (size_t i = 0; i < c->count; i++) {
		strcat(got, i > 0 ? " " : "");
		strcat(got, endpoint_format(&c->servers[i], one));
	}
	assert_string_equal(got, want);
}

static void test_nameserver_lines_are_found_in_order(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"nameserver 192.0.2.1\n", "192.0.2.1:53"},
		{"nameserver 192.0.2.1", "192.0.2.1:53"},
		{"nameserver\t \t192.0.2.1  \t\r\n", "192.0.2.1:53"},
		{"nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch x.y\n",
		 "127.0.0.53:53"},
		{"search a\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n"
		 "nameserver 192.0.2.2\n",
		 "192.0.2.1:53 [2001:db8::1]:53 192.0.2.2:53"},
		{"# nameserver 192.0.2.1\n; nameserver 192.0.2.2\n"
		 "nameserver 192.0.2.3 # this one\nnameserver 192.0.2.4;\n",
		 "192.0.2.3:53 192.0.2.4:53"},
		{"nameserver fe80::1%fake0\n", "[fe80:0:0:7::1]:53"},
		{"nameserver fe80::1%gone0\nnameserver 192.0.2.1\n",
		 "192.0.2.1:53"},
		{"nameserver 0.0.0.0\nnameserver ::\n",
		 "127.0.0.1:53 [::1]:53"},
		{"nameserver 192.0.2.1\nnameserver 192.0.2.1\n",
		 "192.0.2.1:53"},
		{"nameserver\nnameserver \nnameserver x\nnameserver 1.2.3\n"
		 "nameserver 192.0.2.1x\nnameservers 192.0.2.9\n"
		 " nameserver 192.0.2.8\n",
		 ""},
		{"nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\n"
		 "nameserver 1.1.1.4\nnameserver 1.1.1.5\nnameserver 1.1.1.6\n"
		 "nameserver 1.1.1.7\nnameserver 1.1.1.8\nnameserver 1.1.1.9\n",
		 "1.1.1.1:53 1.1.1.2:53 1.1.1.3:53 1.1.1.4:53 1.1.1.5:53 "
		 "1.1.1.6:53 1.1.1.7:53 1.1.1.8:53"},
		{"nameserver "
		 "2001:0db8:0000:0000:0000:0000:0000:0001:0000:0000:0000:0000:"
		 "0000:0000:0000:0000\n",
		 ""},
		{"\n\n", ""},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct resolvconf c = {0};

		c.count = resolvconf_parse(rows[i].text, c.servers,
					   RESOLVCONF_MAX);
		assert_servers(&c, rows[i].want);
	}
}

static void test_an_unchanged_file_is_not_read_again(void **state)
{
	struct resolvconf c;

	put("conf", "nameserver 192.0.2.1\n");
	resolvconf_init(&c, "conf");
	assert_true(resolvconf_refresh(&c));
	assert_servers(&c, "192.0.2.1:53");
	assert_false(resolvconf_refresh(&c));
}

static void test_an_edit_in_place_is_seen(void **state)
{
	struct resolvconf c;

	put("conf", "nameserver 192.0.2.1\n");
	resolvconf_init(&c, "conf");
	resolvconf_refresh(&c);
	put("conf", "nameserver 192.0.2.1\nnameserver 192.0.2.2\n");
	assert_true(resolvconf_refresh(&c));
	assert_servers(&c, "192.0.2.1:53 192.0.2.2:53");
}

static void test_a_rename_over_it_is_seen(void **state)
{
	struct resolvconf c;

	put("conf", "nameserver 192.0.2.1\n");
	put("two", "nameserver 192.0.2.2\n");
	resolvconf_init(&c, "conf");
	resolvconf_refresh(&c);
	assert_int_equal(rename("two", "conf"), 0);
	assert_true(resolvconf_refresh(&c));
	assert_servers(&c, "192.0.2.2:53");
}

static void test_a_symlink_turned_elsewhere_is_seen(void **state)
{
	struct resolvconf c;

	put("one", "nameserver 192.0.2.1\n");
	put("two", "nameserver 192.0.2.2\n");
	assert_int_equal(symlink("one", "conf"), 0);
	resolvconf_init(&c, "conf");
	resolvconf_refresh(&c);
	assert_servers(&c, "192.0.2.1:53");
	unlink("conf");
	assert_int_equal(symlink("two", "conf"), 0);
	assert_true(resolvconf_refresh(&c));
	assert_servers(&c, "192.0.2.2:53");
	/* and so is a change of what it points to */
	put("two", "nameserver 192.0.2.22\n");
	assert_true(resolvconf_refresh(&c));
	assert_servers(&c, "192.0.2.22:53");
}

static void test_without_a_file_or_nameserver_it_is_loopback(void **state)
{
	struct resolvconf c;

	resolvconf_init(&c, "conf");
	assert_true(resolvconf_refresh(&c));
	assert_servers(&c, "127.0.0.1:53");
	assert_false(resolvconf_refresh(&c));
	put("conf", "nameserver 192.0.2.1\n");
	assert_true(resolvconf_refresh(&c));
	assert_servers(&c, "192.0.2.1:53");
	put("conf", "# none\n");
	assert_true(resolvconf_refresh(&c));
	assert_servers(&c, "127.0.0.1:53");
	put("conf", "nameserver 192.0.2.1\n");
	resolvconf_refresh(&c);
	unlink("conf");
	assert_true(resolvconf_refresh(&c));
	assert_servers(&c, "127.0.0.1:53");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nameserver_lines_are_found_in_order),
		T(test_an_unchanged_file_is_not_read_again),
		T(test_an_edit_in_place_is_seen),
		T(test_a_rename_over_it_is_seen),
		T(test_a_symlink_turned_elsewhere_is_seen),
		T(test_without_a_file_or_nameserver_it_is_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
