import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.interceptor.api.IInterceptorService;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binstore.DatabaseBinaryContentStorageSvcImpl;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.interceptor.UserRequestRetryVersionConflictsInterceptor;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirPostgresDialect;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.searchparam.submit.config.SearchParamSubmitterConfig;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.subscription.match.config.SubscriptionProcessorConfig;
import ca.uhn.fhir.jpa.subscription.match.deliver.email.IEmailSender;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import com.zaxxer.hikari.HikariDataSource;
import jakarta.persistence.EntityManagerFactory;
import java.util.Properties;
import javax.sql.DataSource;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.thread.QueuedThreadPool;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/**
 * A persistent FHIR R4 server: HAPI's JPA storage on H2 or PostgreSQL, served by an embedded Jetty at /fhir.
 * HAPI_PORT, HAPI_DB_URL, HAPI_DB_USER, HAPI_DB_PASSWORD say where; tables are made at the first start. Prints READY when it
 * serves. H2 loses acknowledged writes at kill -9, PostgreSQL does not.
 */
@Configuration
@Import({
    JpaR4Config.class, HapiJpaConfig.class, JpaBatch2Config.class, Batch2JobsConfig.class,
    SubscriptionSubmitterConfig.class, SubscriptionProcessorConfig.class, SubscriptionChannelConfig.class,
    SearchParamSubmitterConfig.class, ThreadPoolFactoryConfig.class
})
public class HapiJpa {

    static String env(String name, String fallback) {
        String value = System.getenv(name);
        return value == null || value.isBlank() ? fallback : value;
    }

    @Bean
    JpaStorageSettings storageSettings() {
        JpaStorageSettings s = new JpaStorageSettings();
        s.setResourceClientIdStrategy(JpaStorageSettings.ClientIdStrategyEnum.ANY);
        s.setResourceServerIdStrategy(JpaStorageSettings.IdStrategyEnum.UUID);
        // References must resolve on write: the order of our writes is under test too.
        s.setEnforceReferentialIntegrityOnWrite(true);
        s.setEnforceReferentialIntegrityOnDelete(true);
        s.setAutoCreatePlaceholderReferenceTargets(false);
        s.setAllowExternalReferences(true);
        return s;
    }

    @Bean
    PartitionSettings partitionSettings() {
        return new PartitionSettings();
    }

    @Bean
    SubscriptionSettings subscriptionSettings() {
        return new SubscriptionSettings();
    }

    @Bean
    IBinaryStorageSvc binaryStorage() {
        return new DatabaseBinaryContentStorageSvcImpl();
    }

    @Bean
    IEmailSender emailSender() {
        return new IEmailSender() {
            @Override
            public void send(ca.uhn.fhir.jpa.subscription.match.deliver.email.EmailDetails details) {}
        };
    }

    @Bean(destroyMethod = "close")
    DataSource dataSource() {
        HikariDataSource ds = new HikariDataSource();
        ds.setJdbcUrl(env("HAPI_DB_URL", "jdbc:h2:mem:fhir;DB_CLOSE_DELAY=-1"));
        ds.setUsername(env("HAPI_DB_USER", "sa"));
        ds.setPassword(env("HAPI_DB_PASSWORD", ""));
        ds.setMaximumPoolSize(16);
        return ds;
    }

    @Bean
    LocalContainerEntityManagerFactoryBean entityManagerFactory(
            ConfigurableListableBeanFactory beans, FhirContext ctx, JpaStorageSettings settings, DataSource ds) {
        Properties p = new Properties();
        boolean postgres = env("HAPI_DB_URL", "").startsWith("jdbc:postgresql:");
        p.put("hibernate.dialect", (postgres ? HapiFhirPostgresDialect.class : HapiFhirH2Dialect.class).getName());
        p.put("hibernate.hbm2ddl.auto", "update");
        p.put("hibernate.jdbc.batch_size", "30");
        p.put("hibernate.order_inserts", "true");
        p.put("hibernate.order_updates", "true");
        p.put("hibernate.search.enabled", "false");
        LocalContainerEntityManagerFactoryBean f =
                HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, ctx, settings);
        f.setPersistenceUnitName("hapi");
        f.setDataSource(ds);
        f.setJpaProperties(p);
        return f;
    }

    @Bean
    @Primary
    JpaTransactionManager transactionManager(EntityManagerFactory emf) {
        return new JpaTransactionManager(emf);
    }

    static RestfulServer fhirServlet(ApplicationContext beans) {
        FhirContext ctx = beans.getBean(FhirContext.class);
        RestfulServer fhir = new RestfulServer(ctx);
        fhir.setInterceptorService(beans.getBean(IInterceptorService.class));
        fhir.registerProviders(beans.getBean(ResourceProviderFactory.class).createProviders());
        fhir.registerProvider(beans.getBean(IJpaSystemProvider.class));
        fhir.setServerConformanceProvider(new JpaCapabilityStatementProvider(
                fhir, beans.getBean(IFhirSystemDao.class), beans.getBean(JpaStorageSettings.class),
                beans.getBean(ISearchParamRegistry.class), beans.getBean(IValidationSupport.class)));
        fhir.setPagingProvider(beans.getBean(DatabaseBackedPagingProvider.class));
        fhir.setDefaultResponseEncoding(EncodingEnum.JSON);
        fhir.registerInterceptor(new UserRequestRetryVersionConflictsInterceptor());
        return fhir;
    }

    static void serve(RestfulServer fhir, long startedNanos) throws Exception {
        Server server = new Server(new QueuedThreadPool(32));
        ServerConnector http = new ServerConnector(server);
        http.setHost("127.0.0.1");
        http.setPort(Integer.parseInt(env("HAPI_PORT", "8090")));
        server.addConnector(http);
        ServletContextHandler root = new ServletContextHandler("/");
        ServletHolder servlet = new ServletHolder(fhir);
        servlet.setInitOrder(1);
        root.addServlet(servlet, "/fhir/*");
        server.setHandler(root);
        server.setStopAtShutdown(true);
        server.start();
        System.out.printf("READY port=%d after %.1f s%n", http.getLocalPort(), (System.nanoTime() - startedNanos) / 1e9);
        server.join();
    }

    public static void main(String[] args) throws Exception {
        long t0 = System.nanoTime();
        AnnotationConfigApplicationContext beans = new AnnotationConfigApplicationContext(HapiJpa.class);
        beans.registerShutdownHook();
        serve(fhirServlet(beans), t0);
    }
}
