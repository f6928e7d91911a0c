#include <stdio.h>

int main(void)
{
	puts("hello from a program that was compiled here");
	return 0;
}
